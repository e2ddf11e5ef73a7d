// Package lsptest is a scriptable fake editor: an object with verbs that do what a person
// does, connected to a server in this process or to a real binary.
//
// It keeps buffers, speaks each position encoding, applies workspace edits with the rules
// and the faults of real editors, and collects what the server shows. It is strict: a
// request or notification that the chosen client does not know or declare fails the test.
// It never looks into the server, and knows of glue's own methods only what stories need.
//
//	e := lsptest.Start(t, lsptest.InProcess(serve), lsptest.Options{Root: dir})
//	e.Initialize(lsptest.VSCode())
//	e.Open("main.go")
//	e.Edit("main.go", "0:0", "// edited, not saved\n")
//	e.Call("glue/exec", params, &result)
//	e.Await(lsptest.SawMessage("done"), lsptest.NoProgressRuns())
//
// # Stories
//
// RunStories plays txtar files. The part before the first file is the script: a line for
// each thing that somebody does or sees, "#" for comments. The files are a repository with
// one commit, except for those under want/, which the script compares with. Texts stand in
// double quotes, with Go's escapes. Files in checks and edits are relative to the workspace
// folder. A failure names the story's line.
//
//	client NAME
//	    the editor is this one (see Profiles); vscode without it
//	runtime NAME…
//	    the story is only for these runtimes
//	workspace DIR
//	    the workspace folder is this one in the repository
//	without git
//	    the folder is no repository
//	open F
//	    open a file
//	edit F L:C-L:C "TEXT"
//	    replace a range, counted in characters from 0
//	save F
//	    save a buffer
//	close F
//	    close a buffer without saving
//	edits apply|refuse|hang|later|release|save
//	    how edits of the server's are answered; save: clean files are saved after them
//	press "BUTTON"
//	    from now on, press this button where a message has it
//	tick F…
//	    in previews, tick what is asked about these files
//	host CMD
//	    another program on the host runs this in the repository, by sh
//	host-write F "TEXT"|want/F
//	    another program on the host writes a file
//	session open|sync|checkpoint|discard [F…]|undo|close
//	    what it says; undo and close return as return does
//	sessions N
//	    so many are listed, unreturned ones included
//	return [mode=M] [confirm=F…] [mine=F…] [theirs=F…] [F…]
//	    bring changes back, all or those of the named files
//	restart
//	    the server crashes and the editor starts it again
//	exec CMD
//	    run a command in the sandbox; it exits with 0
//	exits N CMD
//	    run a command in the sandbox; it exits with N
//	begin CMD
//	    start a command in the sandbox and go on
//	cancel
//	    take the begun command back
//	finish
//	    wait for the begun command; it exits with 0
//	stdout ==|contains X
//	    what the last command printed; X is a quoted text or want/F
//	stderr ==|contains X
//	    the same for its standard error
//	buffer F ==|contains X, or clean|dirty|closed
//	    what the editor shows
//	disk F ==|contains X, or absent
//	    what the host's disk holds
//	sandbox F ==|contains X, or absent
//	    what the sandbox holds
//	applied yes|no
//	    the last return said so
//	returned F… or nothing
//	    the last return brought back these files and no others
//	conflict F [KIND] or none
//	    the last return or sync had this one, or none
//	skipped F [TEXT]
//	    the last return left this out, for a reason with this text
//	message "TEXT"
//	    the person gets to see a message with this text
//	shown TEXT
//	    a document with this in its URI is shown
//	fails KIND LINE
//	    the rest of the line is refused with this kind, or this text in its message
//
// Start reading at editor.go, then buffers.go (what a person does), applyedit.go
// and carryout.go (what the server does to files), requests.go and state.go (what else it says), expect.go (waiting),
// story.go and verbs.go (stories).
package lsptest
