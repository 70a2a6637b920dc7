module github.com/backend-showdown/showdown/contenders/go-nethttp

go 1.25.0
