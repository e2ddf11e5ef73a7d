//go:build linux || darwin

package tree

import "sync"

// queue hands out the tasks of one walk, the youngest first, so that it stays short
// and a worker's next folder is near its last one.
type queue struct {
	mu    sync.Mutex
	ready sync.Cond
	tasks []task
	open  int // tasks that are not done
}

func newQueue(first task) *queue {
	q := &queue{tasks: []task{first}, open: 1}
	q.ready.L = &q.mu
	return q
}

func (q *queue) put(t task) {
	q.mu.Lock()
	q.tasks = append(q.tasks, t)
	q.open++
	q.mu.Unlock()
	q.ready.Signal()
}

// take waits for a task; it fails once all are done.
func (q *queue) take() (task, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.tasks) == 0 {
		if q.open == 0 {
			return task{}, false
		}
		q.ready.Wait()
	}
	last := len(q.tasks) - 1
	t := q.tasks[last]
	q.tasks[last] = task{}
	q.tasks = q.tasks[:last]
	return t, true
}

// done says that a task that was taken is finished, and has put what follows it.
func (q *queue) done() {
	q.mu.Lock()
	q.open--
	finished := q.open == 0
	q.mu.Unlock()
	if finished {
		q.ready.Broadcast()
	}
}
