package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"time"
)

// A site is three hosts of pages that this program serves to itself. Page n of
// a host links to 2n and 2n+1, back to the first, and to the same page of the
// next host; every tenth page is missing, and every seventh slow.
type site struct{ *httptest.Server }

const pagesPerHost = 60

var hosts = []string{"a.test", "b.test", "c.test"}

func newSite() site { return site{httptest.NewServer(http.HandlerFunc(serve))} }

func serve(w http.ResponseWriter, r *http.Request) {
	n := 1
	_, _ = fmt.Sscanf(r.URL.Path, "/%d", &n)
	if n%10 == 0 {
		http.NotFound(w, r)
		return
	}
	if n%7 == 0 {
		time.Sleep(50 * time.Millisecond)
	}
	var links []page
	for i, host := range hosts {
		if host != r.Host {
			continue
		}
		links = append(links, page{Host: host, Path: "/"}, page{Host: hosts[(i+1)%len(hosts)], Path: r.URL.Path})
		for _, child := range []int{2 * n, 2*n + 1} {
			if child <= pagesPerHost {
				links = append(links, page{Host: host, Path: fmt.Sprintf("/%d", child)})
			}
		}
	}
	_ = json.NewEncoder(w).Encode(links) // a real page would be parsed for its links
}

// fetch reads a page of any of the hosts from the one server.
func (s site) fetch(ctx context.Context, p page) (links []page, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+p.Path, nil)
	if err != nil {
		return nil, err
	}
	request.Host = p.Host
	answer, err := s.Client().Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = answer.Body.Close() }()
	if answer.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %s", answer.Status)
	}
	if err := json.NewDecoder(answer.Body).Decode(&links); err != nil {
		return nil, err
	}
	for i := range links {
		links[i].Depth = p.Depth + 1
	}
	return links, nil
}
