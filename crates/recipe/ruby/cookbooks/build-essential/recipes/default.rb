# frozen_string_literal: true

# What a compiler needs.
package platform_family?('debian') ? %w[build-essential] : %w[gcc gcc-c++ make]
