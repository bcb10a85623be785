# frozen_string_literal: true

# cluster-init scripts run after all recipes.
