# frozen_string_literal: true

# `thunderball` is there without it. Projects expect the folder.
directory node['thunderball']['storedir'] do
  recursive true
end
