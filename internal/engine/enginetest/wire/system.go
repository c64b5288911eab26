package wire

import (
	"fmt"
	"net/http"
	"runtime"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/system"
)

func (s *server) ping(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Cache-Control", "no-cache, no-store, must-revalidate")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	fmt.Fprint(w, "OK")
	return nil
}

func (s *server) version(w http.ResponseWriter, _ *http.Request) error {
	answer(w, http.StatusOK, system.VersionResponse{
		Version: s.info.ServerVersion, APIVersion: s.info.APIVersion, MinAPIVersion: oldest,
		Os: s.info.OSType, Arch: s.info.Architecture, GoVersion: runtime.Version(),
		Components: []system.ComponentVersion{{
			Name: "Engine", Version: s.info.ServerVersion,
			Details: map[string]string{"ApiVersion": s.info.APIVersion, "Arch": s.info.Architecture, "MinAPIVersion": oldest, "Os": s.info.OSType},
		}},
	})
	return nil
}

func (s *server) system(w http.ResponseWriter, r *http.Request) error {
	all, err := s.engine.Summaries(r.Context())
	if err != nil {
		return err
	}
	info := system.Info{
		Containers: len(all), Driver: "overlay2", OSType: s.info.OSType, Architecture: "x86_64", NCPU: runtime.NumCPU(),
		ServerVersion: s.info.ServerVersion, Name: "memory", LiveRestoreEnabled: false,
	}
	for _, c := range all {
		if c.State == container.StateRunning {
			info.ContainersRunning++
		}
	}
	info.ContainersStopped = info.Containers - info.ContainersRunning
	answer(w, http.StatusOK, info)
	return nil
}
