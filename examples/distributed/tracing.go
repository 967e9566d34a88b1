package main

import (
	"context"
	"maps"
	"slices"

	"github.com/nats-io/nats.go"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/trace"
)

// A program that wants to see its spans gives the provider an exporter.
var tracer = trace.NewTracerProvider().Tracer("distributed")

var propagator = propagation.TraceContext{}

// traceHeader returns headers that carry the trace of ctx.
func traceHeader(ctx context.Context) nats.Header {
	header := nats.Header{}
	propagator.Inject(ctx, carrier(header))
	return header
}

// withTrace returns ctx with the trace that header carries.
func withTrace(ctx context.Context, header nats.Header) context.Context {
	return propagator.Extract(ctx, carrier(header))
}

// A carrier lets a propagator read and write a message's headers. Unlike those of
// HTTP, their names are case-sensitive, so propagation.HeaderCarrier would not do.
type carrier nats.Header

func (c carrier) Get(key string) string { return nats.Header(c).Get(key) }

func (c carrier) Set(key, value string) { nats.Header(c).Set(key, value) }

func (c carrier) Keys() []string { return slices.Collect(maps.Keys(c)) }
