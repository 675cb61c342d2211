package main

import "bytes"

const endOfName = '|'

// A body that can be checked on arrival: a name, then padding that follows from the length alone, so that a body that
// was cut, mixed up or not decompressed is noticed. At least `size` bytes; just the name when it is that long already.
func encodeBody(name string, size int) []byte {
	body := []byte(name)
	if size <= len(body) {
		return body
	}
	body = append(body, endOfName)
	for len(body) < size {
		body = append(body, padding(len(body)))
	}
	return body
}

func bodyName(body []byte) string {
	if end := bytes.IndexByte(body, endOfName); end >= 0 {
		return string(body[:end])
	}
	return string(body)
}

func intact(body []byte) bool {
	for i := len(bodyName(body)) + 1; i < len(body); i++ {
		if body[i] != padding(i) {
			return false
		}
	}
	return true
}

func padding(position int) byte {
	return byte('a' + position%23)
}
