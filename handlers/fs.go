package handlers

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"slices"
	"strings"

	"glue-lsp/sandbox"
	"glue-lsp/session"
)

type fileParams struct {
	sessionRef
	filePath
}

type statResult struct {
	Type           string `json:"type" doc:"file, directory or other; of a link's target, other for a dangling link"`
	IsSymbolicLink bool   `json:"isSymbolicLink"`
	Size           int64  `json:"size"`
	Mtime          int64  `json:"mtime" doc:"milliseconds since 1970"`
	Mode           uint32 `json:"mode" doc:"permission bits"`
	Target         string `json:"target,omitzero" doc:"what a link holds"`
	TargetBytes    string `json:"targetBytes,omitzero"`
}

func toStat(i sandbox.FileInfo) statResult {
	out := statResult{
		Type: i.Type, IsSymbolicLink: i.IsSymlink, Size: i.Size, Mtime: i.ModTime.UnixMilli(),
		Mode: unixMode(i.Mode),
	}
	out.Target, out.TargetBytes = showPath(i.Target)
	return out
}

// unixMode gives the twelve permission bits of chmod(2).
func unixMode(m fs.FileMode) uint32 {
	bits := uint32(m.Perm())
	if m&fs.ModeSetuid != 0 {
		bits |= 0o4000
	}
	if m&fs.ModeSetgid != 0 {
		bits |= 0o2000
	}
	if m&fs.ModeSticky != 0 {
		bits |= 0o1000
	}
	return bits
}

func fileMode(bits uint32) fs.FileMode {
	m := fs.FileMode(bits & 0o777)
	for _, b := range []struct {
		bit  uint32
		mode fs.FileMode
	}{{0o4000, fs.ModeSetuid}, {0o2000, fs.ModeSetgid}, {0o1000, fs.ModeSticky}} {
		if bits&b.bit != 0 {
			m |= b.mode
		}
	}
	return m
}

// files finds a session's files and the folder that relative paths start at.
func (s *Server) files(id string) (sandbox.Files, string, *session.Session, error) {
	sess, err := s.open(id)
	if err != nil {
		return nil, "", nil, err
	}
	files, err := sess.Files()
	if err != nil {
		return nil, "", nil, err
	}
	return files, sess.Info().Cwd, sess, nil
}

// at resolves a request's file.
func (s *Server) at(ref sessionRef, p filePath) (sandbox.Files, string, error) {
	raw, err := p.raw()
	if err != nil {
		return nil, "", err
	}
	files, cwd, _, err := s.files(ref.Session)
	if err != nil {
		return nil, "", err
	}
	return files, sandboxPath(cwd, raw), nil
}

func (s *Server) fsStat(ctx context.Context, p *fileParams) (statResult, error) {
	files, path, err := s.at(p.sessionRef, p.filePath)
	if err != nil {
		return statResult{}, err
	}
	info, err := files.Stat(ctx, path)
	if err != nil {
		return statResult{}, err
	}
	return toStat(info), nil
}

type statManyParams struct {
	sessionRef
	Paths []somePath `json:"paths"`
}

// statEntry is a statResult, or an error and nothing else.
type statEntry struct {
	*statResult
	Error *statError `json:"error,omitzero" doc:"instead of the other members"`
}

type statError struct {
	Kind    string `json:"kind"`
	Message string `json:"message"`
}

type statManyResult struct {
	Entries []statEntry `json:"entries" doc:"in the order of paths"`
}

func (s *Server) fsStatMany(ctx context.Context, p *statManyParams) (statManyResult, error) {
	files, cwd, _, err := s.files(p.Session)
	if err != nil {
		return statManyResult{}, err
	}
	paths := rawPaths(p.Paths)
	for i := range paths {
		paths[i] = sandboxPath(cwd, paths[i])
	}
	results, err := files.StatMany(ctx, paths)
	if err != nil {
		return statManyResult{}, err
	}
	out := statManyResult{Entries: make([]statEntry, len(results))}
	for i, r := range results {
		if r.Err != nil {
			text, _ := showPath(r.Err.Error())
			out.Entries[i].Error = &statError{Kind: describe(r.Err).Kind, Message: text}
			continue
		}
		out.Entries[i].statResult = ptr(toStat(r.Info))
	}
	return out, nil
}

type existsResult struct {
	Exists bool `json:"exists"`
}

// fsExists does not fail for anything that a file system can say. A session that is not
// there, or a sandbox that has ended, is another matter: it would be a wrong "no".
func (s *Server) fsExists(ctx context.Context, p *fileParams) (existsResult, error) {
	files, path, err := s.at(p.sessionRef, p.filePath)
	if err != nil {
		return existsResult{}, err
	}
	_, err = files.Stat(ctx, path)
	if err == nil {
		return existsResult{Exists: true}, nil
	}
	e, ok := errors.AsType[*sandbox.Error](err)
	if ctx.Err() != nil || !ok || slices.Contains([]sandbox.Kind{sandbox.ExecutorDead, sandbox.Unavailable, sandbox.Timeout}, e.Kind) {
		return existsResult{}, err
	}
	return existsResult{}, nil
}

type directoryEntry struct {
	Name           string `json:"name"`
	PathBytes      string `json:"pathBytes,omitzero" doc:"base64 of the name, where it is not UTF-8"`
	Type           string `json:"type" doc:"file, directory or other"`
	IsSymbolicLink bool   `json:"isSymbolicLink"`
}

type readDirectoryResult struct {
	Entries []directoryEntry `json:"entries"`
}

func (s *Server) fsReadDirectory(ctx context.Context, p *fileParams) (readDirectoryResult, error) {
	files, path, err := s.at(p.sessionRef, p.filePath)
	if err != nil {
		return readDirectoryResult{}, err
	}
	entries, err := files.ReadDir(ctx, path)
	if err != nil {
		return readDirectoryResult{}, err
	}
	slices.SortFunc(entries, func(a, b sandbox.DirEntry) int { return strings.Compare(a.Name, b.Name) })
	out := readDirectoryResult{Entries: make([]directoryEntry, len(entries))}
	for i, e := range entries {
		text, b64 := showPath(e.Name)
		out.Entries[i] = directoryEntry{Name: text, PathBytes: b64, Type: e.Type, IsSymbolicLink: e.IsSymlink}
	}
	return out, nil
}

type readFileParams struct {
	fileParams
	Offset   int64  `json:"offset,omitzero" doc:"in bytes; default 0"`
	Length   *int64 `json:"length,omitzero" doc:"in bytes; default to the end"`
	Encoding string `json:"encoding,omitzero" doc:"base64 asks for base64 in any case; default utf-8 where the bytes are valid"`
	longRunning
}

func (p *readFileParams) check() error {
	switch {
	case p.Offset < 0:
		return badParam("offset", "must not be negative")
	case p.Length != nil && *p.Length < 0:
		return badParam("length", "must not be negative")
	case !slices.Contains([]string{"", encUTF8, encBase64}, p.Encoding):
		return badParam("encoding", "expected %q or %q, found %q", encUTF8, encBase64, clip(p.Encoding, 40))
	}
	return nil
}

type readFileResult struct {
	payload
	Size int64 `json:"size" doc:"the whole file's"`
}

// maxRead bounds one answer, in bytes of the file.
const maxRead = 64 << 20

func (s *Server) fsReadFile(ctx context.Context, p *readFileParams) (readFileResult, error) {
	files, path, err := s.at(p.sessionRef, p.filePath)
	if err != nil {
		return readFileResult{}, err
	}
	report := s.withToken(p.WorkDoneToken, "Reading a file")
	defer report.end("")
	length := int64(maxRead + 1)
	if p.Length != nil {
		length = min(length, *p.Length)
	}
	r, size, err := files.ReadFile(ctx, path, p.Offset, length)
	if err != nil {
		return readFileResult{}, err
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxRead+1))
	if err != nil {
		return readFileResult{}, err
	}
	if len(data) > maxRead {
		return readFileResult{}, &sandbox.Error{
			Kind: sandbox.TooLarge, Op: "read", Path: path, Message: "more than 64 MiB in one answer",
			Hint: "read it in parts, with offset and length",
		}
	}
	if p.Encoding == encBase64 {
		return readFileResult{payload: base64Payload(data), Size: size}, nil
	}
	return readFileResult{payload: toPayload(data), Size: size}, nil
}

type writeFileParams struct {
	fileParams
	payload
	Mode      *uint32 `json:"mode,omitzero" doc:"permission bits; default the replaced file's, else 420 (rw-r--r--)"`
	Create    *bool   `json:"create,omitzero" doc:"default true: may make the file"`
	Overwrite *bool   `json:"overwrite,omitzero" doc:"default true: may replace the file"`
	longRunning
}

type writeFileResult struct {
	Size int64 `json:"size"`
}

func (s *Server) fsWriteFile(ctx context.Context, p *writeFileParams) (writeFileResult, error) {
	data, err := p.bytes("")
	if err != nil {
		return writeFileResult{}, err
	}
	opts := sandbox.WriteOptions{Create: orTrue(p.Create), Overwrite: orTrue(p.Overwrite)}
	if p.Mode != nil {
		if *p.Mode > 0o7777 {
			return writeFileResult{}, badParam("mode", "must be between 0 and %d", 0o7777)
		}
		opts.Mode = ptr(fileMode(*p.Mode))
	}
	files, path, err := s.at(p.sessionRef, p.filePath)
	if err != nil {
		return writeFileResult{}, err
	}
	report := s.withToken(p.WorkDoneToken, "Writing a file")
	defer report.end("")
	size, err := files.WriteFile(ctx, path, bytes.NewReader(data), opts)
	return writeFileResult{Size: size}, err
}

func orTrue(b *bool) bool { return b == nil || *b }

type createDirectoryParams struct {
	fileParams
	Recursive *bool `json:"recursive,omitzero" doc:"default true: make missing parents, and accept a folder that is there"`
}

func (s *Server) fsCreateDirectory(ctx context.Context, p *createDirectoryParams) (empty, error) {
	files, path, err := s.at(p.sessionRef, p.filePath)
	if err != nil {
		return empty{}, err
	}
	return empty{}, files.Mkdir(ctx, path, orTrue(p.Recursive))
}

type deleteParams struct {
	fileParams
	Recursive bool `json:"recursive,omitzero" doc:"default false"`
	Force     bool `json:"force,omitzero" doc:"default false: a missing path is an error"`
	longRunning
}

func (s *Server) fsDelete(ctx context.Context, p *deleteParams) (empty, error) {
	files, path, err := s.at(p.sessionRef, p.filePath)
	if err != nil {
		return empty{}, err
	}
	report := s.withToken(p.WorkDoneToken, "Deleting")
	defer report.end("")
	return empty{}, files.Remove(ctx, path, p.Recursive, p.Force)
}

type moveParams struct {
	fileParams
	To        string `json:"to" or:"toBytes"`
	ToBytes   string `json:"toBytes,omitzero"`
	Overwrite bool   `json:"overwrite,omitzero" doc:"default false"`
	longRunning
}

func (s *Server) fsRename(ctx context.Context, p *moveParams) (empty, error) {
	return s.move(p, func(f sandbox.Files, from, to string) error { return f.Rename(ctx, from, to, p.Overwrite) })
}

func (s *Server) fsCopy(ctx context.Context, p *moveParams) (empty, error) {
	return s.move(p, func(f sandbox.Files, from, to string) error { return f.Copy(ctx, from, to, p.Overwrite) })
}

func (s *Server) move(p *moveParams, do func(f sandbox.Files, from, to string) error) (empty, error) {
	from, err := p.raw()
	if err != nil {
		return empty{}, err
	}
	to, err := rawPath("to", p.To, p.ToBytes)
	if err != nil {
		return empty{}, err
	}
	files, cwd, _, err := s.files(p.Session)
	if err != nil {
		return empty{}, err
	}
	report := s.withToken(p.WorkDoneToken, "Moving files")
	defer report.end("")
	return empty{}, do(files, sandboxPath(cwd, from), sandboxPath(cwd, to))
}
