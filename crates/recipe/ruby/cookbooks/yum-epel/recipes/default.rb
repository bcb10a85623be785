# frozen_string_literal: true

package('epel-release') { only_if { platform_family?('rhel') } }
