package httpapi

import _ "embed"

// asset is a file of the page.
type asset struct {
	contentType string
	content     []byte
}

var (
	//go:embed page/index.html
	indexHTML []byte
	//go:embed page/page.css
	pageCSS []byte
	//go:embed page/page.js
	pageJS []byte
)

// page maps paths to the page and the files that it loads.
var page = map[string]asset{
	"/":         {"text/html; charset=utf-8", indexHTML},
	"/page.css": {"text/css; charset=utf-8", pageCSS},
	"/page.js":  {"text/javascript; charset=utf-8", pageJS},
}
