"""When flows start by themselves: cron, conditions, schedules, windows, webhooks."""
