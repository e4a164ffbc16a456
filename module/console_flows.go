package minimize

func (v *visit) flows() (any, error) { return nil, nil }
