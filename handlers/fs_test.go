package handlers

import (
	"encoding/json"
	"testing"
)

func TestFilesOfTheSandbox(t *testing.T) {
	c, _, info := opensSession(t, map[string]string{"a.txt": "one\n"})
	c.call("glue/fs/writeFile", `{"path":"new/b.bin","data":"/wA=","encoding":"base64","mode":493}`)
	st := into[statResult](t, c.call("glue/fs/stat", `{"path":"new/b.bin"}`))
	if st.Type != "file" || st.Size != 2 || st.Mode != 493 || st.Mtime == 0 {
		t.Errorf("stat is %+v", st)
	}
	read := into[readFileResult](t, c.call("glue/fs/readFile", `{"path":"`+info.Root+`/new/b.bin"}`))
	if read.payload != (payload{"/wA=", encBase64}) || read.Size != 2 {
		t.Errorf("read %+v", read)
	}
	read = into[readFileResult](t, c.call("glue/fs/readFile", `{"path":"a.txt","offset":1,"length":2,"encoding":"base64"}`))
	if read.payload != base64Payload([]byte("ne")) || read.Size != 4 {
		t.Errorf("read %+v", read)
	}
	c.call("glue/fs/writeFile", `{"pathBytes":"5A==","path":"shown","data":"x","encoding":"utf-8"}`)
	dir := into[readDirectoryResult](t, c.call("glue/fs/readDirectory", `{"path":""}`))
	var names []string
	for _, e := range dir.Entries {
		if e.Name != ".git" {
			names = append(names, e.Name+"|"+e.PathBytes)
		}
	}
	if len(names) != 3 || names[0] != "a.txt|" || names[1] != "new|" || names[2] != `\xE4|5A==` {
		t.Errorf("the folder holds %q", names)
	}
	c.call("glue/fs/copy", `{"path":"a.txt","to":"c.txt"}`)
	c.refused("glue/fs/copy", `{"path":"a.txt","to":"c.txt"}`, -32803, "")
	c.call("glue/fs/rename", `{"path":"c.txt","to":"e.txt"}`)
	c.call("glue/fs/createDirectory", `{"path":"deep/er"}`)
	c.refused("glue/fs/delete", `{"path":"deep"}`, -32803, "")
	c.call("glue/fs/delete", `{"path":"deep","recursive":true}`)
	c.call("glue/fs/delete", `{"path":"deep","force":true}`)
	many := into[struct {
		Entries []struct {
			Type  string
			Error *statError
		}
	}](t, c.call("glue/fs/statMany", `{"paths":["a.txt","none",{"pathBytes":"5A=="}]}`))
	if len(many.Entries) != 3 || many.Entries[0].Type != "file" || many.Entries[1].Error == nil ||
		many.Entries[1].Error.Kind != "fileNotFound" || many.Entries[2].Error != nil {
		t.Errorf("statMany is %+v", many)
	}
	for path, want := range map[string]string{"a.txt": "true", "none": "false", "a.txt/x": "false", "../../../../../../../../../../../../../../etc": "true"} {
		if got := c.call("glue/fs/exists", `{"path":"`+path+`"}`); string(got) != `{"exists":`+want+`}` {
			t.Errorf("%s: %s", path, got)
		}
	}
	_, err := c.try("glue/fs/readFile", `{"path":"none"}`)
	data := into[failure](t, err.Data.(json.RawMessage))
	if err.Code != -32803 || data.Kind != "fileNotFound" || data.Operation == "" || data.Path == "" {
		t.Errorf("%d %s %+v", err.Code, err.Message, data)
	}
}

func TestAWatchReportsChanges(t *testing.T) {
	c, _, _ := opensSession(t, nil)
	w := into[watchResult](t, c.call("glue/fs/watch", `{"path":"","recursive":true}`))
	c.call("glue/fs/writeFile", `{"path":"seen.txt","data":"x","encoding":"utf-8"}`)
	c.await(methodFilesChanged, func(p json.RawMessage) bool {
		return contains("seen.txt")(p) && contains(`"watchId":"`+w.WatchID+`"`)(p)
	})
	c.call("glue/fs/unwatch", `{"watchId":"`+w.WatchID+`"}`)
	c.refused("glue/fs/unwatch", `{"watchId":"`+w.WatchID+`"}`, -32602, "watchId")
}
