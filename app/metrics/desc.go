package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// def is a metric of the table. The table is filled while the package is initialised, and read-only after.
type def struct {
	name   string // as in the text format: counters end in _total
	typ    string
	help   string
	labels []string
	desc   *prometheus.Desc
}

var defs []*def

// units are those that names end in, base units all.
var units = []string{"seconds", "bytes"}

func define(typ, name, help string, labels []string) *def {
	d := &def{name: "spdk_" + name, typ: typ, help: help, labels: labels}
	var opts []prometheus.DescOpt
	for _, unit := range units {
		if strings.HasSuffix(strings.TrimSuffix(name, "_total"), "_"+unit) {
			opts = append(opts, prometheus.WithUnit(unit))
		}
	}
	d.desc = prometheus.V2.NewDesc(d.name, help, prometheus.UnconstrainedLabels(labels), nil, opts...)
	defs = append(defs, d)
	return d
}

func counter(name, help string, labels ...string) *def {
	return define("counter", name+"_total", help, labels)
}
func gauge(name, help string, labels ...string) *def { return define("gauge", name, help, labels) }
func histogram(name, help string, labels ...string) *def {
	return define("histogram", name, help, labels)
}

// sink takes what a collector says.
type sink chan<- prometheus.Metric

func (s sink) count(d *def, v float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d.desc, prometheus.CounterValue, v, valid(labels)...)
}

func (s sink) gauge(d *def, v float64, labels ...string) {
	s <- prometheus.MustNewConstMetric(d.desc, prometheus.GaugeValue, v, valid(labels)...)
}

func (s sink) histogram(d *def, n uint64, sum float64, buckets map[float64]uint64, labels ...string) {
	s <- prometheus.MustNewConstHistogram(d.desc, n, sum, buckets, valid(labels)...)
}

// valid makes labels of names that can be any bytes, such as directories.
func valid(labels []string) []string {
	for i := range labels {
		labels[i] = strings.ToValidUTF8(labels[i], "\uFFFD")
	}
	return labels
}
