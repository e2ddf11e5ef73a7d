package git

import (
	"net"
	"regexp"
	"strings"
)

// PublicURL gives the address under which a machine without keys and passwords can read a
// remote, and what was changed in it. Where there is none, url is empty and why says the
// reason in words for the person.
//
// A remote that is reached by SSH, or by git's own protocol, has the same path under
// https at every large host. Keys do not leave this machine, and a sandbox may not be
// allowed to use port 22.
func PublicURL(remote string) (url, why string) {
	remote = withoutCredentials(strings.TrimSpace(remote))
	scheme, rest, ok := strings.Cut(remote, "://")
	if !ok {
		return fromScp(remote)
	}
	host, path, _ := strings.Cut(rest, "/")
	switch strings.ToLower(scheme) {
	case "http", "https":
		if !isAuthority(host) {
			return "", "its URL has no proper host"
		}
		return strings.ToLower(scheme) + "://" + host + "/" + path, ""
	case "ssh", "git+ssh", "ssh+git":
		return overHTTPS(host, path, "ssh")
	case "git":
		return overHTTPS(host, path, "the git protocol")
	case "file":
		return "", "it is a folder of this machine"
	}
	return "", "a sandbox cannot read " + scheme + " URLs"
}

// fromScp reads "user@host:path", the short form of an SSH address. A path before the
// colon makes it a local folder (git-fetch(1), GIT URLS).
func fromScp(remote string) (url, why string) {
	host, path, ok := strings.Cut(remote, ":")
	switch {
	case strings.HasPrefix(remote, "["): // [host]:path
		if host, path, ok = strings.Cut(remote[1:], "]:"); !ok {
			return "", "its URL cannot be read"
		}
	case !ok || strings.ContainsAny(host, `/\`) || len(host) == 1:
		return "", "it is a folder of this machine"
	case strings.HasPrefix(path, ":"):
		return "", "it needs a program of this machine"
	}
	return overHTTPS(host, path, "ssh")
}

// sshOnly are hosts that serve SSH alone, for networks that close port 22, and where the
// same repositories are read. Their owners' documentation names them.
var sshOnly = map[string]string{
	"ssh.github.com": "github.com", "altssh.gitlab.com": "gitlab.com", "altssh.bitbucket.org": "bitbucket.org",
}

func overHTTPS(host, path, how string) (url, why string) {
	if at := strings.LastIndexByte(host, '@'); at >= 0 {
		host = host[at+1:]
	}
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name // the port is that of the other protocol
	}
	if to, ok := sshOnly[strings.ToLower(host)]; ok {
		host = to
	}
	if !isAuthority(host) || !strings.Contains(host, ".") {
		return "", "only this machine knows what host " + quoteWord(host) + " is"
	}
	why = "it is read by " + how + " from here, which needs keys that stay on this machine or a port (22) that a sandbox may not use, so https is tried"
	if how != "ssh" {
		why = "it is read by " + how + " from here, so https is tried"
	}
	return "https://" + host + "/" + strings.TrimLeft(path, "/"), why
}

// authority is a host, and perhaps a port, that begins like no option.
var authority = regexp.MustCompile(`^([A-Za-z0-9][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?$`)

func isAuthority(host string) bool { return authority.MatchString(host) }

// quoteWord shows a short text of a configuration file in a message.
func quoteWord(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, s)
	return `"` + s[:min(len(s), 60)] + `"`
}
