package compute

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// A Pretend is a hypervisor that runs nothing: it remembers what would run, and copying an instance takes
// as long as it is told to. It starts no goroutine.
type Pretend struct {
	copying time.Duration

	mu      sync.Mutex
	running map[string]bool
	images  map[string]bool
}

var _ Driver = (*Pretend)(nil)

// NewPretend returns a hypervisor that runs the instances given.
func NewPretend(copying time.Duration, instances ...string) *Pretend {
	p := &Pretend{copying: copying, running: make(map[string]bool), images: make(map[string]bool)}
	for _, i := range instances {
		p.running[i] = true
	}
	return p
}

// Expect returns an address that nobody will dial.
func (p *Pretend) Expect(_ context.Context, instance string) (string, error) {
	return "pretend:///" + instance, nil
}

// LiveMigrate takes its time, tells of each quarter of it, and ends the instance here.
func (p *Pretend) LiveMigrate(ctx context.Context, instance, _ string, progress func(percent int)) error {
	for quarter := 1; quarter <= 4; quarter++ {
		copied := time.NewTimer(p.copying / 4)
		select {
		case <-copied.C:
		case <-ctx.Done():
			copied.Stop()
			return ctx.Err()
		}
		progress(25 * quarter)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.running, instance)
	return nil
}

// Arrived runs the instance here.
func (p *Pretend) Arrived(_ context.Context, instance string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running[instance] = true
	return nil
}

// State says "running" of what runs here.
func (p *Pretend) State(instance string) (string, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running[instance] {
		return "", false
	}
	return "running", true
}

// CacheImage remembers the image.
func (p *Pretend) CacheImage(_ context.Context, image string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.images[image] = true
	return nil
}

// Images lists the images that are here.
func (p *Pretend) Images() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Sorted(maps.Keys(p.images))
}
