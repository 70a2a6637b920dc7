package main

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
)

// problem is an RFC 9457 problem.
type problem struct {
	Status int          `json:"status"`
	Title  string       `json:"title"`
	Errors []paramError `json:"errors"`
}

func newHandler(products catalogue) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", health)
	mux.Handle("GET /products", listProducts(products))
	return mux
}

func health(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok")
}

func listProducts(products catalogue) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q, bad := parseQuery(r.URL.Query())
		if len(bad) > 0 {
			writeJSON(w, "application/problem+json", http.StatusBadRequest, problem{
				Status: http.StatusBadRequest,
				Title:  "Invalid query parameters",
				Errors: bad,
			})
			return
		}
		writeJSON(w, "application/json", http.StatusOK, products.search(q))
	})
}

func writeJSON(w http.ResponseWriter, contentType string, status int, v any) {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(v); err != nil {
		slog.Error("write response", "error", err)
	}
}
