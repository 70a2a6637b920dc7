package scenario

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/backend-showdown/showdown/internal/measure/load"
	"github.com/backend-showdown/showdown/internal/showdown"
)

// jsonAPI is the scenario `json`; scenarios/json/README.md has its rules.
type jsonAPI struct {
	products []product
	oracle   *oracle
}

// JSON is the REST API scenario.
var JSON = sync.OnceValue(func() Scenario {
	products := newCatalogue()
	return &jsonAPI{products: products, oracle: newOracle(products)}
})

func (*jsonAPI) Name() string  { return "json" }
func (*jsonAPI) Title() string { return "REST API" }

func (*jsonAPI) Objective() showdown.Objective {
	return showdown.Objective{Quantile: 0.99, Latency: 50 * time.Millisecond, ErrorRate: 0.001}
}

func (s *jsonAPI) WriteData(dir string) error { return writeCatalogue(dir, s.products) }

func (s *jsonAPI) Traffic(host string, seed uint64) load.Traffic {
	return &jsonTraffic{stream: newStream(seed, s.products), oracle: s.oracle, tail: requestTail(host)}
}

func (s *jsonAPI) Verify(ctx context.Context, host string) ([]Check, error) {
	return newExaminer(host, s).examine(ctx)
}

type jsonTraffic struct {
	stream *stream
	oracle *oracle
	tail   []byte
}

func requestTail(host string) []byte {
	return fmt.Appendf(nil, " HTTP/1.1\r\nHost: %s\r\nUser-Agent: showdown\r\nAccept: application/json\r\n\r\n", host)
}

// Append writes the k-th request and the status that it must get.
func (t *jsonTraffic) Append(dst []byte, k uint64) ([]byte, int) {
	q := t.stream.at(k)
	dst = append(dst, "GET "...)
	dst = q.appendTarget(dst)
	dst = append(dst, t.tail...)
	if q.bad != "" {
		return dst, 400
	}
	return dst, 200
}

// Check recomputes the k-th answer.
func (t *jsonTraffic) Check(k uint64, body []byte) error {
	q := t.stream.at(k)
	if q.bad != "" {
		return judgeProblem(badParameters(q.params()), body)
	}
	return t.oracle.judgeAnswer(q.params(), body)
}
