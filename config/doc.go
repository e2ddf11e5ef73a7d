// Package config is the one table of settings. For each it knows the YAML key, the
// environment variable, the key that editors send, its type, its default, who may set
// it and what it is for; the reference page, completion and `doctor` are made from it.
//
// It only reads: the editor's options, the environment and <GLUE_HOME>/config.yaml. A
// value from a workspace never runs a program, sends data or opens the network.
//
// Start reading at [Table], then [Load].
package config
