# frozen_string_literal: true

# The names of nodes are those that the cloud gives them.
