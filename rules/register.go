package rules

// registerOf joins what documents say of recipients: who they are stands once, in a pack perhaps, and a deployment says where
// they are reached, by which credentials, and since when they are suspended. The first word counts; Compile reports others.
func registerOf(documents []*Document) map[string]*Recipient {
	register := map[string]*Recipient{}
	for _, d := range documents {
		for _, r := range d.Recipients {
			if r.Kind != "" && register[r.Name] == nil {
				register[r.Name] = &r
			}
		}
	}
	reached := map[string]bool{}
	for _, d := range documents {
		for _, r := range d.Recipients {
			if entry := register[r.Name]; r.Kind == "" && entry != nil && !reached[r.Name] {
				reached[r.Name] = true
				entry.reach(&r)
			}
		}
	}
	return register
}

// reach takes over how a recipient is reached. A suspension only ever comes earlier.
func (r *Recipient) reach(by *Recipient) {
	if by.Hosts != nil {
		r.Hosts = by.Hosts
	}
	if by.Credentials != nil {
		r.Credentials = by.Credentials
	}
	if r.Suspended.IsZero() || !by.Suspended.IsZero() && by.Suspended.Before(r.Suspended) {
		r.Suspended = by.Suspended
	}
}
