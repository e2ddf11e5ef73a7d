package local

import (
	"os/user"
	"path/filepath"
	"strings"
)

// Java takes the home folder from the password file and not from HOME, see user.home in
// the notes of java.lang.System.getProperties. Where the two differ, build tools are told.

// javaVariables lead Java's build tools to a sandbox's HOME.
func javaVariables(environ []string, home string) []string {
	if me, err := user.Current(); err == nil && me.HomeDir == home {
		return nil
	}
	return leadJava(environ, home)
}

func leadJava(environ []string, home string) []string {
	out := []string{"GRADLE_USER_HOME=" + filepath.Join(home, ".gradle")}
	if strings.ContainsAny(home, " \t\n") {
		return out // those below are split at spaces
	}
	for _, name := range []string{"MAVEN_OPTS", "SBT_OPTS"} {
		options := "-Duser.home=" + home
		if own := envOf(environ, name); own != "" && !holdsSecret([]byte(own)) {
			options += " " + own // the last of two counts
		}
		out = append(out, name+"="+options)
	}
	return out
}
