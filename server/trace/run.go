package trace

import (
	"context"
	"time"
)

// Run sends spans until ctx ends, then what is left within Config.LeaveTimeout, and returns nil. It may be called once.
func (t *Tracer) Run(ctx context.Context) error {
	defer t.exporter.Close()
	// An export that is under way when ctx ends has the time to leave, and no more.
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	defer context.AfterFunc(ctx, func() { time.AfterFunc(t.cfg.LeaveTimeout, cut) })()
	tick := time.NewTicker(t.cfg.Delay)
	defer tick.Stop()
	batch := make([]*Span, 0, t.cfg.Batch)
	for {
		select {
		case s := <-t.queue:
			if batch = append(batch, s); len(batch) < t.cfg.Batch {
				continue
			}
			tick.Reset(t.cfg.Delay)
		case <-tick.C:
		case <-ctx.Done():
			t.leave(work, batch)
			return nil
		}
		t.send(work, batch)
		clear(batch)
		batch = batch[:0]
	}
}

// leave sends the batch that was begun, and all that is in the queue.
func (t *Tracer) leave(ctx context.Context, batch []*Span) {
	for {
		select {
		case s := <-t.queue:
			if batch = append(batch, s); len(batch) < t.cfg.Batch {
				continue
			}
			t.send(ctx, batch)
			batch = batch[:0]
			continue
		default:
		}
		t.send(ctx, batch)
		return
	}
}

// send exports one batch and counts what became of it. While it waits, spans gather in the queue and not here.
func (t *Tracer) send(ctx context.Context, batch []*Span) {
	if len(batch) == 0 {
		return
	}
	exporting, cancel := context.WithTimeout(ctx, t.cfg.ExportTimeout)
	refused, err := t.exporter.Export(exporting, batch)
	cancel()
	if err != nil {
		t.failed.Add(int64(len(batch)))
		if !t.down {
			t.down = true
			t.log.Warn("traces cannot be sent; spans are dropped until they can", "error", err)
		}
		return
	}
	t.exported.Add(int64(len(batch) - refused))
	if refused > 0 {
		t.refused.Add(int64(refused))
	}
	if t.down || t.dropping.Load() && len(t.queue) < cap(t.queue)/2 {
		t.down = false
		t.dropping.Store(false)
		t.log.Info("traces are sent again", "dropped", t.full.Load()+t.failed.Load())
	}
}
