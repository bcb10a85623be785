# frozen_string_literal: true

# Projects include it. What it did once is done elsewhere, or is gone.
