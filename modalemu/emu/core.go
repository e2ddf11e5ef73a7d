package emu

// coreMethods are the calls without which no sandbox can be made and used through the
// SDK. A client that needs more has to do without it where a server is older, newer or
// smaller than expected; Faults.CoreOnly shows whether it does.
var coreMethods = map[string]bool{
	// The control plane.
	"ClientHello": true, "AuthTokenGet": true, "TokenInfoGet": true, "WorkspaceNameLookup": true,
	"AppGetOrCreate": true, "EnvironmentGetOrCreate": true,
	"ImageGetOrCreate": true, "ImageJoinStreaming": true,
	"SandboxCreateV2": true, "SandboxGetTaskIdV2": true, "SandboxGetCommandRouterAccess": true,
	"SandboxWaitV2": true, "SandboxTerminateV2": true, "SandboxListV2": true, "SandboxGetFromNameV2": true,
	"SandboxTagsSetV2": true, "SandboxTagsGetV2": true, "SandboxGetTunnelsV2": true,
	// The command router.
	"SandboxWaitUntilReady": true, "SandboxStdioReadV2": true, "SandboxStdinWriteV2": true,
	"TaskExecStart": true, "TaskExecStdioRead": true, "TaskExecWait": true, "TaskExecPoll": true,
	"TaskExecStdinWrite": true, "TaskExecStdinWriteStream": true, "TaskExecStdinStatus": true,
	"TaskSnapshotFilesystem": true, "TaskSnapshotDirectory": true, "TaskMountDirectory": true,
}
