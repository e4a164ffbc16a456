package minimize

func (v *visit) try() (any, error) { return nil, nil }
