package serve

import (
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are what /metrics shows, beside the Go runtime's and the process's own.
type metrics struct {
	registry *prometheus.Registry

	requests *prometheus.CounterVec   // by path and status
	seconds  *prometheus.HistogramVec // by path
	rejected *prometheus.CounterVec   // by reason
	panics   prometheus.Counter

	texts, tokens, nodes     *prometheus.CounterVec // by model
	batchTexts, batchSeconds prometheus.Histogram
}

func newMetrics() *metrics {
	m := &metrics{registry: prometheus.NewRegistry()}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "implicitreward", Name: name, Help: help}, labels)
		m.registry.MustRegister(c)
		return c
	}
	histogram := func(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Namespace: "implicitreward", Name: name, Help: help, Buckets: buckets}, labels)
		m.registry.MustRegister(h)
		return h
	}
	seconds := prometheus.ExponentialBuckets(0.001, 2, 18) // to 131 s
	m.requests = counter("requests_total", "Requests answered.", "path", "status")
	m.seconds = histogram("request_seconds", "Time from a request's headers to its answer.", seconds, "path")
	m.rejected = counter("rejected_total", "Requests answered with 429, by what was full.", "full")
	m.panics = counter("panics_total", "Panics, each of which failed one request.").WithLabelValues()
	m.texts = counter("texts_total", "Texts computed.", "model")
	m.tokens = counter("tokens_total", "Tokens of these texts.", "model")
	m.nodes = counter("nodes_total", "Tokens computed: what the texts of a batch share counts once.", "model")
	m.batchTexts = histogram("batch_texts", "Texts of a batch.", prometheus.ExponentialBuckets(1, 2, 11)).WithLabelValues().(prometheus.Histogram)
	m.batchSeconds = histogram("batch_seconds", "Time to compute a batch.", seconds).WithLabelValues().(prometheus.Histogram)
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// gauge adds a number that is read when somebody looks.
func (m *metrics) gauge(name, help string, value func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "implicitreward", Name: name, Help: help}, value))
}

func (m *metrics) handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{})
}
