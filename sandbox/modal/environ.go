package modal

import "strings"

// sidecarEnviron is what the sidecar gets of an environment: what Modal's SDK and its
// network need is the person's to set, and so all of it, without what leads an
// interpreter elsewhere. It names the person's own packages only by an absolute path.
func sidecarEnviron(environ []string) []string {
	out := make([]string, 0, len(environ))
	for _, kv := range environ {
		name, value, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "PYTHON") && !(name == "PYTHONUSERBASE" && strings.HasPrefix(value, "/")) {
			continue
		}
		out = append(out, kv)
	}
	return out
}

// hintFor knows what to do about some of what Python says.
func hintFor(python interpreter, said string) string {
	if strings.Contains(said, "No module named 'modal'") {
		return "run: " + python.path + " -m pip install --user modal"
	}
	return ""
}
