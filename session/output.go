package session

import "slices"

// headTail keeps the first and the last half of a stream's bytes within a limit.
type headTail struct {
	half    int64
	head    []byte
	tail    []byte // a ring once it is full
	next    int    // where the ring's oldest byte is
	dropped int64
}

func newHeadTail(limit int64) *headTail { return &headTail{half: max(limit/2, 1)} }

func (h *headTail) write(p []byte) {
	if room := h.half - int64(len(h.head)); room > 0 {
		n := min(room, int64(len(p)))
		h.head = append(h.head, p[:n]...)
		p = p[n:]
	}
	if over := int64(len(p)) - h.half; over > 0 {
		h.dropped += over + int64(len(h.tail))
		h.tail, h.next = append(h.tail[:0], p[over:]...), 0
		return
	}
	if room := h.half - int64(len(h.tail)); room > 0 {
		n := min(room, int64(len(p)))
		h.tail = append(h.tail, p[:n]...)
		p = p[n:]
	}
	h.dropped += int64(len(p))
	for len(p) > 0 {
		n := copy(h.tail[h.next:], p)
		h.next = (h.next + n) % len(h.tail)
		p = p[n:]
	}
}

// bytes gives what was kept and how many bytes between the halves were not.
func (h *headTail) bytes() ([]byte, int64) {
	return slices.Concat(h.head, h.tail[h.next:], h.tail[:h.next]), h.dropped
}
