package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/composure-dev/composure/policy"
)

// maxAnswer bounds what is read of an answer, in bytes, on top of its status.
const maxAnswer = 64 << 10

func askHTTP(ctx context.Context, job HTTPJob) Result {
	check := policy.HTTPCheck{InsecureSkipVerify: job.InsecureSkipVerify}
	if problem, hint := check.ProblemWith(job.URL); problem != "" {
		return failed(Result{}, ClassURL, "the URL "+problem+"; "+hint)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, job.URL, http.NoBody)
	if err != nil {
		return failed(Result{}, ClassURL, "the URL cannot be asked")
	}
	request.Header.Set("User-Agent", "composure")
	begin := time.Now()
	response, err := client(job).Do(request)
	if err != nil {
		class, message := classify(err)
		if class == "" {
			class, message = ClassProtocol, "the answer is not that of a web server"
		}
		return failed(Result{}, class, message)
	}
	defer response.Body.Close()
	result := Result{Status: response.StatusCode, LatencyMs: float64(time.Since(begin).Microseconds()) / 1000}
	// The rest is read so that the server is not cut off. One without an end, a stream of events say, has answered all the same.
	_, err = io.CopyN(io.Discard, response.Body, maxAnswer)
	if err != nil && !errors.Is(err, io.EOF) && ctx.Err() == nil {
		return failed(result, ClassProtocol, "the answer breaks off")
	}
	return result
}

// client asks once, over a connection of its own, through no proxy.
func client(job HTTPJob) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives:      true,
			MaxResponseHeaderBytes: maxAnswer,
			TLSClientConfig:        &tls.Config{InsecureSkipVerify: job.InsecureSkipVerify},
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
