module github.com/boundq/queue/benchmarks

go 1.26.0

replace github.com/boundq/queue => ../

require (
	github.com/Workiva/go-datastructures v1.1.7
	github.com/boundq/queue v0.0.0-00010101000000-000000000000
	github.com/eapache/channels v1.1.0
	github.com/gammazero/deque v1.2.3
	github.com/puzpuzpuz/xsync/v4 v4.5.0
	github.com/smallnest/chanx v1.2.0
	k8s.io/client-go v0.37.2
)

require (
	github.com/eapache/queue v1.1.0 // indirect
	github.com/go-logr/logr v1.4.3 // indirect
	golang.org/x/time v0.15.0 // indirect
	k8s.io/apimachinery v0.37.2 // indirect
	k8s.io/klog/v2 v2.140.0 // indirect
	k8s.io/utils v0.0.0-20260626114624-be93311217bd // indirect
)
