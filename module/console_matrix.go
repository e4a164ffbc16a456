package minimize

func (v *visit) matrix() (any, error) { return nil, nil }
