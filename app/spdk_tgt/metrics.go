package main

import (
	"fmt"

	"github.com/spdk-go/spdk-go/app/metrics"
)

func setMetrics(c *config, v string) error {
	addr, err := metrics.ParseAddress(v)
	if err != nil {
		return err
	}
	c.metrics = &addr
	return nil
}

// startMetrics serves what --metrics has asked for, and says where.
func (tg *target) startMetrics() error {
	if tg.cfg.metrics == nil {
		return nil
	}
	addr, err := metrics.Of(tg.a).Start(metrics.Options{Address: *tg.cfg.metrics})
	if err != nil {
		return err
	}
	where := addr.URL()
	if where == "" {
		where = addr.String()
	}
	fmt.Fprintf(tg.stdout, "%s: metrics at %s\n", progName, where)
	return nil
}
