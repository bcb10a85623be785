# frozen_string_literal: true

# Gone from the platform; projects include it all the same.
