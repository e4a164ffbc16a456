package cmd

import (
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/caddy-minimize/minimize/module/dashboards"
)

// The names of what `minimize dashboards --write` writes.
const (
	dashboardFile = "minimize-dashboard.json"
	alertsFile    = "minimize-alerts.yaml"
)

func dashboardsCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "dashboards [--alerts | --write <folder>]",
		Short: "Prints the Grafana dashboard, or the alert rules for Prometheus",
		Long: `Prints the Grafana dashboard of this version's metrics, as JSON to import. With --alerts it prints the alert rules for Prometheus, with
--write it writes both into a folder and says what to do with them.`,
		Args: cobra.NoArgs,
	}
	alerts := c.Flags().Bool("alerts", false, "Print the alert rules")
	folder := c.Flags().String("write", "", "Write both into this folder, over older ones")
	c.MarkFlagsMutuallyExclusive("alerts", "write")
	c.SilenceErrors, c.SilenceUsage = true, true // printed readably already
	c.RunE = func(c *cobra.Command, _ []string) error {
		if *folder != "" {
			if err := writeDashboards(c.OutOrStdout(), *folder); err != nil {
				return usageError(c, err)
			}
			return nil
		}
		text := dashboards.Dashboard
		if *alerts {
			text = dashboards.Alerts
		}
		_, err := c.OutOrStdout().Write(text)
		return err
	}
	return c
}

func writeDashboards(out io.Writer, folder string) error {
	dashboard, alerts := filepath.Join(folder, dashboardFile), filepath.Join(folder, alertsFile)
	for name, text := range map[string][]byte{dashboard: dashboards.Dashboard, alerts: dashboards.Alerts} {
		if err := os.WriteFile(name, text, 0o644); err != nil {
			return fmt.Errorf("writing the dashboard and the alert rules: %w", err)
		}
	}
	p := newPainter(out)
	fmt.Fprintf(out, "%s\n  %s\n", dashboard, p.paint(faint, "Grafana: Dashboards, New, Import, Upload; or let it provision the folder"))
	fmt.Fprintf(out, "%s\n  %s\n", alerts, p.paint(faint, "Prometheus: name it under rule_files in prometheus.yml and reload; without an audit log MinimizeAuditSilent stands"))
	return nil
}
