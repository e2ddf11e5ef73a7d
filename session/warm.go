package session

// Warm has a runtime prepare what takes a moment, if there is such a thing, so that the
// first session does not wait for it. What goes wrong in it the first session says.
func (m *Manager) Warm(runtime string) {
	if w, ok := m.o.Runtimes[runtime].(interface{ Warm() }); ok {
		w.Warm()
	}
}
