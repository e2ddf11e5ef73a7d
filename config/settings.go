package config

// Settings are the values in force.
type Settings struct {
	Runtime string // local or modal
	Modal   Modal

	BundleMaxMB int // 0: 30 for modal, none for local
	UploadMaxMB int

	CaptureMaxMB int // of one checkpoint
	QuotaMB      int // of everything under GLUE_HOME

	ReturnMode  string // edits, disk or branch
	ReturnMaxMB int

	Setup   []string // commands that run before a session's first one
	Include []string // patterns of ignored files that go up all the same
	Exclude []string // patterns of files that stay
	Share   []string // ignored folders that are lent to a local sandbox
	History string   // none, full or shallow:N

	LocalNetwork   string // on or none
	LocalCache     string // workspace or session
	LocalIsolation string // auto, bubblewrap, landlock or none

	Runners []Runner // the user's own, which come before the built-in ones
}

// Modal is what the Modal runtime can be told. Zero values are Modal's own defaults.
type Modal struct {
	PythonPath, CLI, AppName, Image   string
	SandboxTimeoutSeconds             int
	DeleteOnClose                     bool
	CPU                               float64
	MemoryMB                          int
	GPU, Region, Environment, Network string
	Transport                         string // auto, agent or direct
	Secrets, Volumes                  []string
	Env                               map[string]string
	IdleTimeoutSeconds                int
}

// Runner says how a kind of file is run. In Run and Test, {file} is the file's path
// from the folder where commands start, {dir} its folder, {name} a test's name; each
// is put in as one quoted word.
type Runner struct {
	Language string // LSP language id; "" matches any
	Files    string // glob on the file's name; "" matches any
	Run      string
	Test     string
}
