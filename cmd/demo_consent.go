package cmd

import (
	"fmt"
	"net/http"
	"strings"
)

// demoConsent is what the customer, the first caller, agreed to and may take back.
const (
	demoConsent = "/consent/subjects/me/consents/advertising"
	demoLevel   = `{"event_type": "explicit"}`
)

// agree lets the customer agree to advertising, as her browser would.
func (d *demo) agree() error {
	request, err := http.NewRequest(http.MethodPut, d.url+demoConsent, strings.NewReader(demoLevel))
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+d.callers[0].token)
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("agreeing to advertising: %w", err)
	}
	defer response.Body.Close()
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("agreeing to advertising: status %d", response.StatusCode)
	}
	return nil
}

// demoSays is a curl that prints something for an answer without a body, too.
const demoSays = `curl -s -w 'answered with %{http_code}\n' `

func (d *demo) withdrawCurl() string {
	return demoSays + "-X DELETE -H @" + d.callers[0].header + " " + d.url + demoConsent
}

func (d *demo) agreeCurl() string {
	return demoSays + "-X PUT -H @" + d.callers[0].header + " -H 'Content-Type: application/json' -d '" + demoLevel + "' " + d.url + demoConsent
}
