package state

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"
	"slices"
	"strings"
)

const recordSuffix = ".json"

// temporary is the name of a file that a killed write has left: a dot, the name of what was written, and a random number.
var temporary = regexp.MustCompile(`^\..+\.json\d+$`)

// Projects are the names of the projects that have a folder here, sorted. None when nothing was ever recorded.
func (s Store) Projects() ([]string, error) {
	entries, err := readFolder(s.projects())
	if err != nil {
		return nil, err
	}
	var names []string
	for _, entry := range entries {
		if entry.IsDir() {
			names = append(names, entry.Name())
		}
	}
	return names, nil
}

// List gives the records of a project, the newest last. A record that cannot be read does not hide the others: those that can are
// returned together with an error that names the file of each one that cannot. A project that nothing is known of has no records.
func (s Store) List(project string) ([]Record, error) {
	if err := CheckProject(project); err != nil {
		return nil, err
	}
	entries, err := readFolder(s.folder(project))
	if err != nil {
		return nil, err
	}
	var records []Record
	var problems []error
	for _, entry := range entries {
		transaction, isRecord := strings.CutSuffix(entry.Name(), recordSuffix)
		if !isRecord || entry.Name() == suspendedName || strings.HasPrefix(entry.Name(), ".") {
			continue
		}
		record, err := s.Load(project, transaction)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		records = append(records, record)
	}
	slices.SortFunc(records, func(a, b Record) int {
		return cmp.Or(a.Began.Compare(b.Began), cmp.Compare(a.Transaction, b.Transaction))
	})
	return records, errors.Join(problems...)
}

// Load reads one record. The error names its file and quotes nothing of it; it wraps [fs.ErrNotExist] when there is none.
func (s Store) Load(project, transaction string) (Record, error) {
	if err := errors.Join(CheckProject(project), checkName("transaction", transaction)); err != nil {
		return Record{}, err
	}
	path := s.Path(Record{Project: project, Transaction: transaction})
	var record Record
	if err := read(path, &record); err != nil {
		return Record{}, fmt.Errorf("read record: %w", err)
	}
	if record.Project != project || record.Transaction != transaction {
		return Record{}, fmt.Errorf("read record: %s is not the record of transaction %q of project %q", path, transaction, project)
	}
	return record, nil
}

// readFolder lists a folder by name; one that is not there is empty.
func readFolder(folder string) ([]os.DirEntry, error) {
	entries, err := os.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read state folder: %w", err)
	}
	return entries, nil
}

// read decodes a file of this package. Fields of a newer release are passed over.
func read(path string, into any) error {
	data, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("%s is damaged: %s", path, reason(err))
	}
	return nil
}

// reason says where JSON goes wrong. A decoder's own text may quote what it reads, and that may be a secret.
func reason(err error) string {
	if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("invalid JSON at byte %d", syntax.Offset)
	}
	if field, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("field %q must be a %s", field.Field, field.Type)
	}
	return "a field holds what it cannot"
}
