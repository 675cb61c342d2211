module remora/http-client

go 1.21

require (
	github.com/aliyunmq/mq-http-go-sdk v1.0.3
	github.com/gogap/errors v0.0.0-20210818113853-edfbba0ddea9
)

require (
	github.com/andybalholm/brotli v1.0.5 // indirect
	github.com/gogap/stack v0.0.0-20150131034635-fef68dddd4f8 // indirect
	github.com/klauspost/compress v1.17.0 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
	github.com/valyala/fasthttp v1.51.0 // indirect
)
