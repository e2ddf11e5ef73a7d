// Package git is the only code that runs git. Every command gets a private
// GIT_DIR, a configuration of its own and an environment in which no hook,
// filter, attribute, pager, credential helper or global setting of anybody runs
// or counts; the user's repository is named to it as data, never as a place to
// write.
//
// Two things are kept apart. A [Source] is the user's repository: [Git.Inspect]
// finds it by reading files, and [Git.ListFiles] asks git which paths belong to
// it through a private folder that holds a copy of its index. A [Repo] is a
// private bare store that this program made; everything that is written is
// written there, and objects that came from a sandbox are read there under
// [Limits].
//
// Start reading at [Find] and [Repo].
package git
