package view

// index has things by container id, and knows which are of one project. Those of none are of "".
type index[T interface{ of() string }] struct {
	all map[string]T
	by  map[string]map[string]bool // ids by project; no project is without any
}

func newIndex[T interface{ of() string }]() *index[T] {
	return &index[T]{all: map[string]T{}, by: map[string]map[string]bool{}}
}

func (i *index[T]) set(id string, thing T) {
	i.remove(id)
	i.all[id] = thing
	project := thing.of()
	if i.by[project] == nil {
		i.by[project] = map[string]bool{}
	}
	i.by[project][id] = true
}

func (i *index[T]) remove(id string) {
	known, is := i.all[id]
	if !is {
		return
	}
	delete(i.all, id)
	project := known.of()
	if delete(i.by[project], id); len(i.by[project]) == 0 {
		delete(i.by, project)
	}
}
