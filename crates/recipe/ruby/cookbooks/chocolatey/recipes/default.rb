# frozen_string_literal: true

# What projects want of it is built in, or does not concern this system.
