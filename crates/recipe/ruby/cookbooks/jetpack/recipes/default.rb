# frozen_string_literal: true

# `jetpack_download`, `jetpack_send` and `jetpack_log` are there without it. Projects expect the folder.
directory node['jetpack']['downloads'] do
  recursive true
end
