package minimize

import (
	"runtime/debug"

	"go.uber.org/zap"

	"github.com/caddy-minimize/minimize/rules"
)

// panicked logs a panic that was recovered. Its words may hold a value, the stack does not.
func panicked(logger *zap.Logger, during string, fields ...zap.Field) {
	logger.Error("panicking while "+during, append(fields, zap.ByteString("stack", debug.Stack()))...)
}

// panicked also counts it, and returns the refusal that it becomes. A canary's is told of by its run.
func (m *message) panicked(during string) *rules.Refusal {
	panicked(m.h.logger, during, zap.String("decision", m.id))
	if !m.canary {
		m.h.metrics.panics.Inc()
	}
	return &rules.Refusal{Reason: rules.Unavailable, Detail: "the gateway failed"}
}
