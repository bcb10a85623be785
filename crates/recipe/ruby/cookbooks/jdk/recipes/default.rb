# frozen_string_literal: true

# A Java below `node['jdk']['home']`. What is there already is right.
package(platform_family?('debian') ? 'default-jdk-headless' : 'java-devel') do
  not_if { File.exist?(File.join(node['jdk']['home'], 'bin/java')) }
end
