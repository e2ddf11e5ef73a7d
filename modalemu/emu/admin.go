package emu

import (
	"encoding/json"
	"net/http"
	"time"

	pb "github.com/modal-labs/modal-client/go/proto/modal_proto"
)

// Stats is what the emulator counted.
type Stats struct {
	Calls     map[string]int `json:"calls"` // by method
	Sandboxes []SandboxStats `json:"sandboxes"`
	Alive     int            `json:"alive"`
	Billed    float64        `json:"billedSeconds"` // of all sandboxes together
}

// SandboxStats is one sandbox's line.
type SandboxStats struct {
	ID             string            `json:"id"`
	App            string            `json:"app"`
	Image          []string          `json:"image"` // its Dockerfile commands
	Tags           map[string]string `json:"tags"`
	Alive          bool              `json:"alive"`
	Status         string            `json:"status,omitempty"`
	Billed         float64           `json:"billedSeconds"`
	TimeoutSeconds uint32            `json:"timeoutSeconds"`
	Env            []string          `json:"env"`
	Entrypoint     []string          `json:"entrypoint"`
	Execs          int               `json:"execs"`
	MilliCPU       uint32            `json:"milliCpu,omitempty"`
	MemoryMB       uint32            `json:"memoryMb,omitempty"`
	Regions        []string          `json:"regions,omitempty"`
	BlockNetwork   bool              `json:"blockNetwork,omitempty"`
	GPU            string            `json:"gpu,omitempty"`
}

func (s *Server) stats(reset bool) Stats {
	out := Stats{Calls: s.counts.read(reset), Sandboxes: []SandboxStats{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, id := range s.order {
		sb := s.sandboxes[id]
		line := SandboxStats{
			ID: id, App: sb.app.name, Image: sb.image.commands, Tags: map[string]string{}, Alive: sb.alive(), Billed: sb.billed().Seconds(),
			TimeoutSeconds: sb.def.GetTimeoutSecs(), Env: sb.env, Entrypoint: sb.def.GetEntrypointArgs(),
			MilliCPU: sb.def.GetResources().GetMilliCpu(), MemoryMB: sb.def.GetResources().GetMemoryMb(),
			Regions: sb.def.GetSchedulerPlacement().GetRegions(), BlockNetwork: sb.blocksNetwork(),
			GPU: sb.def.GetResources().GetGpuConfig().GetGpuType(),
		}
		sb.mu.Lock()
		for k, v := range sb.tags {
			line.Tags[k] = v
		}
		line.Execs = sb.started
		if sb.result != nil {
			line.Status = sb.result.GetStatus().String()
		}
		sb.mu.Unlock()
		out.Billed += line.Billed
		if line.Alive {
			out.Alive++
		}
		out.Sandboxes = append(out.Sandboxes, line)
	}
	return out
}

// adminHandler is how tests look and hurt:
//
//	GET  /stats[?reset=1]            what was counted, see Stats
//	POST /faults                     sets Faults
//	POST /cut?ms=N                   ends every connection, and refuses new ones for N ms
//	POST /freeze?ms=N                nothing goes through for N ms
//	POST /sandboxes/{id}/end?how=X   timeout, terminated, evicted or internal
func (s *Server) adminHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stats", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(s.stats(r.FormValue("reset") != ""))
	})
	mux.HandleFunc("POST /faults", func(w http.ResponseWriter, r *http.Request) {
		var f Faults
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&f); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		s.faults.set(f)
	})
	span := func(do func(time.Duration)) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			d, err := time.ParseDuration(r.FormValue("ms") + "ms")
			if err != nil {
				http.Error(w, err.Error(), http.StatusBadRequest)
				return
			}
			do(d)
		}
	}
	mux.HandleFunc("POST /cut", span(s.faults.cut))
	mux.HandleFunc("POST /freeze", span(s.faults.freeze))
	mux.HandleFunc("POST /sandboxes/{id}/end", func(w http.ResponseWriter, r *http.Request) {
		sb, err := s.of(r.PathValue("id"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusNotFound)
			return
		}
		ways := map[string]*pb.GenericResult{
			"timeout": timedOut(), "terminated": terminated(),
			"evicted":  pb.GenericResult_builder{Status: pb.GenericResult_GENERIC_STATUS_MEMORY_MANAGER_EVICTION, Exitcode: 137}.Build(),
			"internal": pb.GenericResult_builder{Status: pb.GenericResult_GENERIC_STATUS_INTERNAL_FAILURE, Exitcode: 1}.Build(),
		}
		why := ways[r.FormValue("how")]
		if why == nil {
			http.Error(w, "how must be timeout, terminated, evicted or internal", http.StatusBadRequest)
			return
		}
		sb.finish(why)
		<-sb.gone
	})
	return mux
}
