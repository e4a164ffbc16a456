package minimize

import (
	"fmt"
	"testing"

	"github.com/caddy-minimize/minimize/rules/detect"
)

// TestCanaryShapes: what the canary plants is what detectors recognize, or it would prove nothing.
func TestCanaryShapes(t *testing.T) {
	if len(canaryShapes) != len(detect.Detectors) {
		t.Errorf("%d shapes of %d detectors", len(canaryShapes), len(detect.Detectors))
	}
	for _, d := range detect.Detectors {
		shape := canaryShapes[d.Name]
		for _, text := range []string{shape.text(), fmt.Sprintf("as told, %s and no more", shape.text())} {
			hits := detect.All.Find(nil, []byte(text), 0)
			if len(hits) != 1 || text[hits[0].Start:hits[0].End] != shape.value || detect.Detectors[hits[0].Kind].Name != d.Name {
				t.Errorf("%s: %q has the hits %v", d.Name, text, hits)
			}
		}
		if kind, ok := detect.All.Number([]byte(shape.value), 0); shape.isNumber() && (!ok || detect.Detectors[kind].Name != d.Name) {
			t.Errorf("%s is no number", d.Name)
		}
	}
}

