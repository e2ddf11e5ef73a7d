package git

import (
	"os"
	"strconv"
)

// place says where a command runs. Every command is told its repository, so that
// git never looks for one by itself.
type place struct {
	gitDir   string
	workTree string   // "" when the command needs none
	workDir  string   // current directory of the process
	env      []string // added last
}

// setting is one configuration value that every command is given. They come by
// environment, which counts more than any file (git-config(1), GIT_CONFIG_COUNT).
type setting struct{ key, value string }

// settings neutralise what a repository's own configuration could make git do,
// should it hold anything but what this package wrote into it.
var settings = []setting{
	{"core.hooksPath", os.DevNull},
	{"core.fsmonitor", "false"},
	{"core.untrackedCache", "false"},
	{"core.attributesFile", os.DevNull},
	{"core.autocrlf", "false"},
	{"core.safecrlf", "false"},
	{"core.quotePath", "false"},
	{"core.commitGraph", "false"},
	{"commit.gpgSign", "false"},
	{"gc.auto", "0"},
	{"maintenance.auto", "false"},
	{"protocol.allow", "never"},
	{"credential.helper", ""},
	// Nothing is kept only in the operating system's cache.
	{"core.fsync", "all"},
	{"core.compression", "1"},
	{"pack.compression", "1"},
	// Searching for deltas costs four times what it saves here.
	{"pack.window", "0"},
	{"pack.threads", "1"},
	// One synced pack is cheaper than a synced file for each object.
	{"fastimport.unpackLimit", "1"},
	// Bounds on what reading a large pack maps and what a large blob costs.
	{"core.packedGitWindowSize", "64m"},
	{"core.packedGitLimit", "512m"},
	{"core.bigFileThreshold", "64m"},
}

// passed are the caller's variables that a command may see. None of them makes
// git do anything; TMPDIR and DEVELOPER_DIR (Apple's git) say where things are.
var passed = []string{"PATH", "TMPDIR", "DEVELOPER_DIR"}

// environ is the whole environment of a command. It is made from nothing: no
// variable of the caller's counts but those in passed.
func environ(p place) []string {
	env := make([]string, 0, 32+2*len(settings))
	for _, name := range passed {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	env = append(env,
		"HOME="+os.DevNull,
		"XDG_CONFIG_HOME="+os.DevNull,
		"LC_ALL=C",
		"TZ=UTC",
		"TERM=dumb",
		"PAGER=cat",
		"GIT_PAGER=cat",
		"GIT_EDITOR=false",
		"GIT_SEQUENCE_EDITOR=false",
		"GIT_ASKPASS=false",
		"SSH_ASKPASS=false",
		"GIT_SSH_COMMAND=false",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_ATTR_NOSYSTEM=1",
		"GIT_OPTIONAL_LOCKS=0",
		"GIT_NO_REPLACE_OBJECTS=1",
		"GIT_NO_LAZY_FETCH=1",
		"GIT_LITERAL_PATHSPECS=1",
		"GIT_ADVICE=0",
		"GIT_DIR="+p.gitDir,
	)
	if p.workTree != "" {
		env = append(env, "GIT_WORK_TREE="+p.workTree)
	}
	env = append(env, "GIT_CONFIG_COUNT="+strconv.Itoa(len(settings)))
	for i, s := range settings {
		n := strconv.Itoa(i)
		env = append(env, "GIT_CONFIG_KEY_"+n+"="+s.key, "GIT_CONFIG_VALUE_"+n+"="+s.value)
	}
	return append(env, p.env...)
}
