package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// request performs args = METHOD URL [BODY] and prints the answer's body. An answer that is no success is an error.
func (p process) request(ctx context.Context, args []string) error {
	method, url, body := args[0], args[1], strings.Join(args[2:], "")
	answer, err := fetch(ctx, method, url, body)
	if err != nil {
		return err
	}
	_, err = io.WriteString(p.stdout, answer)
	return err
}

func healthcheck(ctx context.Context, url string) error {
	if !strings.HasPrefix(url, "redis://") {
		_, err := fetch(ctx, http.MethodGet, url, "")
		return err
	}
	client, err := redisClient(url)
	if err != nil {
		return err
	}
	defer client.Close()
	if err := client.Ping(ctx).Err(); err != nil {
		return fmt.Errorf("ping redis: %w", err)
	}
	return nil
}

func fetch(ctx context.Context, method, url, body string) (string, error) {
	request, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", fmt.Errorf("request %s: %w", url, err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return "", fmt.Errorf("request %s: %w", url, err)
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return "", fmt.Errorf("read answer of %s: %w", url, err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		return "", fmt.Errorf("request %s: %s: %s", url, response.Status, strings.TrimSpace(string(answer)))
	}
	return string(answer), nil
}
